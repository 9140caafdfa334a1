"""Settings: parsing of YAML and JSON into dataclasses, experiments, and recipes. pydantic is used in this package only."""
