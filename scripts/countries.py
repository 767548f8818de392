#!/usr/bin/env python3
"""Writes src/mapping/transform/countries.tsv from CLDR.

    npm pack cldr-core cldr-localenames-full     # then unpack both
    scripts/countries.py <cldr-core>/package <cldr-localenames-full>/package

The file has one line per country:

- its two-letter code
- its three-letter code
- the name that hubferry sends to HubSpot
- its other names, in the languages below and in its own languages

A name that means two countries is left out, unless it is an English name of one of them.
"""
import json
import pathlib
import re
import sys
import unicodedata

CORE, NAMES = (pathlib.Path(path) for path in sys.argv[1:3])
TARGET = pathlib.Path(__file__).parent.parent / "src/mapping/transform/countries.tsv"
LANGUAGES = """en en-001 en-GB en-AU en-CA fr fr-CA fr-BE fr-CH de de-AT de-CH es es-419 es-MX it nl pt
pt-PT pl cs sk hu ro bg hr sr sr-Latn sl el tr ru uk da sv nb nn fi et lv lt is ca eu gl ar he fa hi
zh zh-Hant ja ko vi th id ms""".split()
# These codes are not countries. They are groups, dependencies without a code in the standard, and
# placeholders.
LEFT_OUT = "AC CP CQ DG EA EU EZ IC QO TA UN XA XB ZZ".split()
# The names that hubferry sends to HubSpot, if they differ from CLDR's English names.
SENT = {
    "CD": "Democratic Republic of the Congo",
    "CG": "Congo",
    "HK": "Hong Kong",
    "MM": "Myanmar",
    "MO": "Macao",
    "PS": "Palestine",
    "UM": "U.S. Minor Outlying Islands",
    "VC": "Saint Vincent & the Grenadines",
}
# Names that CLDR does not have: from ISO 3166, from shops, and from everyday use.
ALSO = {
    "AE": "UAE|Emirates|The Emirates",
    "BL": "St. Barts|Saint-Barth",
    "BN": "Brunei Darussalam",
    "BO": "Bolivia (Plurinational State of)|Bolivia, Plurinational State of|Plurinational State of Bolivia",
    "BQ": "Bonaire, Sint Eustatius and Saba|Bonaire, Saint Eustatius and Saba|Bonaire",
    "BS": "The Bahamas|Commonwealth of the Bahamas",
    "BY": "Byelorussia",
    "CC": "Keeling Islands",
    "CD": "Congo, Democratic Republic of the|Congo, The Democratic Republic of the|Congo (Democratic Republic of the)|Congo (the Democratic Republic of the)|DR Congo|DRC|D.R. Congo|Congo (Kinshasa)|Congo-Kinshasa|Zaire",
    "CG": "Republic of the Congo|Congo, Republic of the|Congo Republic|Republic of Congo|Congo (Brazzaville)|Congo-Brazzaville",
    "CI": "Cote d'Ivoire|Republic of Côte d'Ivoire",
    "CN": "People's Republic of China|PR China|P.R. China|PRC|Mainland China|China, People's Republic of",
    "CV": "Republic of Cabo Verde",
    "CZ": "The Czech Republic",
    "DE": "Federal Republic of Germany|Bundesrepublik Deutschland|BRD",
    "DO": "Dominican Rep.",
    "EH": "Sahrawi Arab Democratic Republic",
    "ES": "Kingdom of Spain",
    "FJ": "Fiji Islands",
    "FK": "Falkland Islands (Malvinas)|Falkland Islands [Malvinas]|Malvinas",
    "FM": "Micronesia, Federated States of|Micronesia (Federated States of)|Federated States of Micronesia",
    "FO": "Faeroe Islands|The Faroes",
    "FR": "French Republic|Metropolitan France|République française|France métropolitaine",
    "GB": "Great Britain|Britain|England|Scotland|Wales|Northern Ireland|United Kingdom of Great Britain and Northern Ireland|The United Kingdom of Great Britain and Northern Ireland|United Kingdom (UK)",
    "GM": "The Gambia|Gambia, The",
    "GR": "Hellas|Hellenic Republic",
    "GS": "South Georgia|South Georgia and the South Sandwich Islands|South Georgia/Sandwich Islands",
    "HK": "Hong Kong SAR|Hong Kong S.A.R.",
    "HM": "Heard Island and McDonald Islands|Heard Island & McDonald Islands",
    "IE": "Republic of Ireland|Eire|Ireland, Republic of",
    "IM": "Isle Of Man|Mann",
    "IR": "Iran, Islamic Republic of|Iran (Islamic Republic of)|Islamic Republic of Iran|Persia",
    "KN": "St Kitts",
    "KP": "Korea, Democratic People's Republic of|Korea (the Democratic People's Republic of)|Korea (Democratic People's Republic of)|Democratic People's Republic of Korea|DPRK|DPR Korea|Korea, North|Korea (North)|Korea North|N. Korea",
    "KR": "Korea|Korea, Republic of|Korea (the Republic of)|Korea (Republic of)|Republic of Korea|ROK|Korea, South|Korea (South)|Korea South|S. Korea",
    "KY": "Caymans",
    "LA": "Lao People's Democratic Republic|Lao PDR|Lao People's Democratic Republic (the)|Lao",
    "LY": "Libyan Arab Jamahiriya|State of Libya",
    "MD": "Moldova, Republic of|Moldova (Republic of)|Moldova (the Republic of)|Republic of Moldova",
    "MF": "Saint Martin (French part)|St. Martin (French part)|Saint-Martin",
    "MK": "Macedonia|FYROM|Macedonia, the former Yugoslav Republic of|Macedonia (FYROM)|Republic of North Macedonia|The former Yugoslav Republic of Macedonia",
    "MM": "Burma|Myanmar/Burma",
    "MO": "Macau|Macao S.A.R.",
    "MP": "Northern Marianas|Mariana Islands",
    "MX": "United Mexican States",
    "NL": "Holland|The Netherlands|Kingdom of the Netherlands|Netherlands, The|Netherlands (the)|Netherlands (Kingdom of the)",
    "NZ": "Aotearoa",
    "PH": "The Philippines|Philippines (the)",
    "PN": "Pitcairn Island",
    "PS": "Palestine, State of|State of Palestine|Palestinian Territory|Palestinian Territory, Occupied|Occupied Palestinian Territory|West Bank|Gaza",
    "PT": "Portuguese Republic",
    "PW": "Belau",
    "RE": "La Réunion|Île de la Réunion|Reunion Island",
    "RU": "Russian Federation|Russian Federation (the)",
    "SA": "Kingdom of Saudi Arabia|KSA|Saudi",
    "SH": "Saint Helena, Ascension and Tristan da Cunha|St. Helena, Ascension and Tristan da Cunha",
    "SK": "Slovak Republic",
    "ST": "Sao Tome|São Tomé",
    "SX": "Sint Maarten (Dutch part)|Saint Martin (Dutch part)|St. Maarten",
    "SY": "Syrian Arab Republic|Syrian Arab Republic (the)",
    "SZ": "Kingdom of Eswatini",
    "TL": "East Timor|Democratic Republic of Timor-Leste",
    "TR": "Turkey|Turkiye|Republic of Türkiye",
    "TW": "Taiwan, Province of China|Taiwan (Province of China)|Taiwan, Republic of China|Chinese Taipei|Taiwan ROC",
    "TZ": "Tanzania, United Republic of|Tanzania (United Republic of)|Tanzania, the United Republic of|United Republic of Tanzania",
    "UM": "United States Minor Outlying Islands|United States (US) Minor Outlying Islands|US Minor Outlying Islands",
    "US": "United States of America|The United States of America|America|US of A|U.S. of A.|United States (US)|The States|United States of America (the)|Estados Unidos de América|EE.UU.|EEUU|États-Unis d'Amérique|Vereinigte Staaten von Amerika",
    "VA": "Holy See|Holy See (the)|Vatican|Vatican City State|Holy See (Vatican City State)",
    "VC": "Saint Vincent|St. Vincent",
    "VE": "Venezuela, Bolivarian Republic of|Venezuela (Bolivarian Republic of)|Bolivarian Republic of Venezuela",
    "VG": "Virgin Islands, British|Virgin Islands (British)|BVI|British Virgin Is.",
    "VI": "Virgin Islands, U.S.|Virgin Islands (U.S.)|Virgin Islands (US)|United States Virgin Islands|United States (US) Virgin Islands|USVI|US Virgin Is.",
    "VN": "Viet Nam|Socialist Republic of Vietnam",
    "WF": "Wallis and Futuna Islands",
    "WS": "Western Samoa",
    "XK": "Republic of Kosovo|Kosova",
    "ZA": "RSA|Republic of South Africa",
}
SPECIAL = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ə": "a",
                         "æ": "ae", "œ": "oe", "þ": "th", "ß": "ss"})
DROPPED = {"and", "the"}
SPELT_OUT = {"st": "saint", "ste": "sainte"}


def folded(text):
    """Folds a name in the same way as `fold` in place.rs."""
    text = unicodedata.normalize("NFKD", text).lower()
    text = "".join(c for c in text if not "\u0300" <= c <= "\u036f").translate(SPECIAL)
    words = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)
    return "".join(SPELT_OUT.get(word, word) for word in words.split() if word not in DROPPED)


def territories(locale):
    path = NAMES / "main" / locale / "territories.json"
    if not path.exists():
        return {}
    content = json.loads(path.read_text())["main"][locale]["localeDisplayNames"]["territories"]
    found = {}
    for key, name in content.items():
        code = key.split("-")[0]
        if re.fullmatch("[A-Z]{2}", code) and code not in LEFT_OUT and "alt-chagos" not in key:
            found.setdefault(code, []).append(name)
    return found


def main():
    supplemental = CORE / "supplemental"
    read = lambda name: json.loads((supplemental / f"{name}.json").read_text())["supplemental"]
    alpha3 = read("codeMappings")["codeMappings"]
    spoken = read("territoryInfo")["territoryInfo"]
    english = territories("en")
    codes = sorted(english)
    sent = {}
    for code in codes:
        name = SENT.get(code, english[code][0])
        sent[code] = re.sub(r"\bSt\.", "Saint", name).replace("’", "'")
    owner, names = {}, {code: [] for code in codes}

    def add(code, name, strong):
        name = name.replace("’", "'").strip()
        key = folded(name)
        if not key or (key.isascii() and len(key) < 3 and not strong):
            return
        held = owner.get(key)
        if held is None:
            owner[key] = (code, strong)
            names[code].append(name)
        elif held[0] not in ("", code) and not strong and not held[1]:
            # Two countries share this foreign name, so neither gets it.
            names[held[0]] = [known for known in names[held[0]] if folded(known) != key]
            owner[key] = ("", False)
        elif held[0] != code and strong and held[1]:
            sys.exit(f"{name} is {code} and {held[0]}")

    for code in codes:
        add(code, sent[code], True)
        # A three-letter code has priority over any name.
        owner[alpha3.get(code, {}).get("_alpha3", "XKX").lower()] = (code, True)
    for code in codes:
        for name in english[code] + [also for also in ALSO.get(code, "").split("|") if also]:
            add(code, name, True)
    for locale in LANGUAGES[1:]:
        for code, found in territories(locale).items():
            for name in found:
                add(code, name, False)
    for code in codes:
        for language in spoken.get(code, {}).get("languagePopulation", {}):
            if "_officialStatus" in spoken[code]["languagePopulation"][language]:
                for name in territories(language.replace("_", "-")).get(code, []):
                    add(code, name, False)
    lines = []
    for code in codes:
        three = "XKX" if code == "XK" else alpha3[code]["_alpha3"]
        others = [name for name in names[code] if name != sent[code]]
        lines.append("\t".join([code, three, sent[code], "|".join(others)]))
    head = "# Made by scripts/countries.py from CLDR 48.2. Copyright 2004-2026 Unicode, Inc.; Unicode-3.0.\n"
    TARGET.write_text(head + "\n".join(lines) + "\n")
    print(len(lines), sum(map(len, names.values())), TARGET.stat().st_size)


main()
