-- Settings that a person has stored: they win over the environment and the file.
CREATE TABLE setting (
    -- Dotted, as in config/default.toml.
    key        text        NOT NULL,
    value      jsonb       NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text        NOT NULL,
    CONSTRAINT setting_pkey PRIMARY KEY (key)
);
