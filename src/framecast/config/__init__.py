"""Settings: how files are parsed into dataclasses, and what an experiment and a recipe hold. pydantic is used here only."""
