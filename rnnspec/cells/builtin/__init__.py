"""The built-in cells, one YAML file each, in the language of a spec's `cells:`."""
