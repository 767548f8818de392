//! Compiles one field of an output.

use super::{OURS, Scope};
use crate::event::is_word;
use crate::mapping::field::{Field, Source};
use crate::mapping::pointer::Pointer;
use crate::mapping::spec::{FieldSpec, From, OnInvalid, TransformName};
use crate::mapping::transform::{DecimalRule, OnUnknown, PhoneRule, PickRule, Transform};
use crate::mapping::{MappingError, Operation};

impl Scope<'_> {
    pub(super) fn error(
        &self,
        field: &FieldSpec,
        key: &str,
        problem: impl Into<String>,
    ) -> MappingError {
        let key = format!("fields.{}.{key}", field.property);
        MappingError::invalid(self.file, key, problem)
    }

    /// Compiles a field. Returns none if it names a setting that is not set.
    pub(super) fn field(&self, spec: &FieldSpec) -> Result<Option<Field>, MappingError> {
        self.check_property(spec)?;
        if spec.required && spec.on_invalid == Some(OnInvalid::Drop) {
            let problem = "a required value that is invalid refuses the event: write \"refuse\"";
            return Err(self.error(spec, "on_invalid", problem));
        }
        for verb in spec.when_absent.keys() {
            if self.verbs.get(verb) != Some(&Operation::Upsert) {
                let problem = format!("`{verb}` is no upsert verb of this file");
                return Err(self.error(spec, "when_absent", problem));
            }
        }
        let Some(source) = self.source(spec)? else { return Ok(None) };
        Ok(Some(Field {
            property: spec.property.clone(),
            source,
            required: spec.required,
            refuse: spec.required || spec.on_invalid == Some(OnInvalid::Refuse),
            when_absent: spec.when_absent.clone(),
        }))
    }

    fn check_property(&self, spec: &FieldSpec) -> Result<(), MappingError> {
        let name = &spec.property;
        let declared = self.object.custom_properties.iter().any(|known| known.name == *name);
        if !is_word(name) {
            Err(self.error(spec, "property", "use HubSpot's internal name: a to z, 0 to 9, _"))
        } else if *name == self.object.key {
            Err(self.error(spec, "property", "is the key, which is always sent: remove the field"))
        } else if name.starts_with(OURS) && !declared {
            let problem = format!(
                "objects.toml does not declare it: add it to [[{}.properties]] there",
                self.object.sync_type
            );
            Err(self.error(spec, "property", problem))
        } else {
            Ok(())
        }
    }

    fn source(&self, spec: &FieldSpec) -> Result<Option<Source>, MappingError> {
        match (&spec.from, &spec.constant, &spec.var) {
            (Some(from), None, None) => self.data_source(spec, from).map(Some),
            (None, Some(text), None) => {
                self.refuse_arguments(spec, spec.transform)?;
                Ok(Some(Source::Constant(text.clone())))
            }
            (None, None, Some(name)) => {
                self.refuse_arguments(spec, spec.transform)?;
                match name.as_str() {
                    "owner_id" => Ok(self.vars.owner_id.clone().map(Source::Setting)),
                    _ => Err(self.error(spec, "var", "unknown: the only one is `owner_id`")),
                }
            }
            _ => Err(self.error(spec, "from", "write exactly one of from, const and var")),
        }
    }

    /// Refuses arguments of a constant: it has no transform and cannot be missing.
    fn refuse_arguments(
        &self,
        spec: &FieldSpec,
        transform: Option<TransformName>,
    ) -> Result<(), MappingError> {
        if transform.is_some() || spec.required || !spec.when_absent.is_empty() {
            let problem = "const and var take no transform, required or when_absent: remove them";
            return Err(self.error(spec, "transform", problem));
        }
        self.check_arguments(spec, None)
    }

    fn data_source(&self, spec: &FieldSpec, from: &From) -> Result<Source, MappingError> {
        let name = spec.transform.unwrap_or(TransformName::Text);
        self.check_arguments(spec, Some(name))?;
        match (from, name) {
            (From::Parts(parts), TransformName::Join) => self.join(spec, parts),
            (From::One(_), TransformName::Join) => {
                let problem = "transform = \"join\" takes a list of pointers: the parts";
                Err(self.error(spec, "from", problem))
            }
            (From::Parts(places), _) if places.is_empty() => {
                Err(self.error(spec, "from", "is empty: name at least one pointer"))
            }
            (From::Parts(places), name) => self.one(spec, places, name),
            (From::One(place), name) => self.one(spec, std::slice::from_ref(place), name),
        }
    }

    fn one(
        &self,
        spec: &FieldSpec,
        places: &[String],
        name: TransformName,
    ) -> Result<Source, MappingError> {
        let from: Result<_, _> =
            places.iter().map(|place| self.pointer(spec, "from", place)).collect();
        Ok(Source::One { from: from?, transform: self.transform(spec, name)? })
    }

    /// Refuses an argument that the transform would ignore.
    fn check_arguments(
        &self,
        spec: &FieldSpec,
        name: Option<TransformName>,
    ) -> Result<(), MappingError> {
        let pick = Some(TransformName::Pick);
        let join = Some(TransformName::Join);
        for (key, given, owner, owner_name) in [
            ("table", spec.table.is_some(), pick, "pick"),
            ("on_unknown", spec.on_unknown.is_some(), pick, "pick"),
            ("separator", spec.separator.is_some(), join, "join"),
            ("main", spec.main.is_some(), join, "join"),
            ("country", spec.country.is_some(), Some(TransformName::Phone), "phone"),
            ("currency", spec.currency.is_some(), Some(TransformName::Decimal), "decimal"),
        ] {
            if given && name != owner {
                let problem = format!("belongs to transform = \"{owner_name}\": remove it");
                return Err(self.error(spec, key, problem));
            }
        }
        Ok(())
    }

    fn pointer(&self, spec: &FieldSpec, key: &str, text: &str) -> Result<Pointer, MappingError> {
        Pointer::parse(text).map_err(|problem| self.error(spec, key, problem))
    }

    fn join(&self, spec: &FieldSpec, parts: &[String]) -> Result<Source, MappingError> {
        let main = spec.main.as_ref().and_then(|main| parts.iter().position(|part| part == main));
        let (Some(main), true) = (main, parts.len() > 1) else {
            let problem = "name the part of `from` that must be there, one of at least two";
            return Err(self.error(spec, "main", problem));
        };
        let Some(separator) = spec.separator.clone() else {
            return Err(self.error(spec, "separator", "is missing: the text between the parts"));
        };
        let parts: Result<_, _> =
            parts.iter().map(|part| self.pointer(spec, "from", part)).collect();
        Ok(Source::Join { parts: parts?, main, separator })
    }

    fn transform(&self, spec: &FieldSpec, name: TransformName) -> Result<Transform, MappingError> {
        Ok(match name {
            TransformName::Text | TransformName::Join => Transform::Text,
            TransformName::Multiline => Transform::Multiline,
            TransformName::Lower => Transform::Lower,
            TransformName::Name => Transform::Name,
            TransformName::Html => Transform::Html,
            TransformName::Email => Transform::Email,
            TransformName::Url => Transform::Url,
            TransformName::Domain => Transform::Domain,
            TransformName::Country => Transform::Country,
            TransformName::CountryCode => Transform::CountryCode,
            TransformName::Decimal => Transform::Decimal(self.decimal(spec)?),
            TransformName::Integer => Transform::Integer,
            TransformName::Currency => Transform::Currency,
            TransformName::Boolean => Transform::Boolean,
            TransformName::Date => Transform::Date,
            TransformName::Datetime => Transform::Datetime,
            TransformName::Phone => Transform::Phone(self.phone(spec)?),
            TransformName::Pick => Transform::Pick(self.pick(spec)?),
        })
    }

    fn phone(&self, spec: &FieldSpec) -> Result<PhoneRule, MappingError> {
        let countries = spec.country.iter().flatten();
        let countries: Result<_, _> =
            countries.map(|text| self.pointer(spec, "country", text)).collect();
        Ok(PhoneRule { countries: countries?, default: self.region })
    }

    fn decimal(&self, spec: &FieldSpec) -> Result<DecimalRule, MappingError> {
        let places = spec.currency.iter().flatten();
        let currencies: Result<_, _> =
            places.map(|text| self.pointer(spec, "currency", text)).collect();
        Ok(DecimalRule { currencies: currencies? })
    }

    fn pick(&self, spec: &FieldSpec) -> Result<PickRule, MappingError> {
        let options = spec.table.as_deref().and_then(|name| self.tables.get(name)).cloned();
        let Some(options) = options else {
            let problem = "must name a table of this file: add [tables.<name>.options]";
            return Err(self.error(spec, "table", problem));
        };
        let on_unknown = spec.on_unknown.unwrap_or_default();
        if spec.required && on_unknown == OnUnknown::Clear {
            return Err(self.error(spec, "on_unknown", "a required property is never cleared"));
        }
        Ok(PickRule { options, on_unknown })
    }
}
