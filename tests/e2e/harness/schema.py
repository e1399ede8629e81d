"""The JSON Schema that `portcullis schema` prints, by which every configuration must be valid that a gateway serves."""

import json
import subprocess
import tomllib
from functools import cache

import jsonschema

from .paths import PORTCULLIS


@cache
def validator():
    printed = subprocess.run([PORTCULLIS, "schema"], check=True, capture_output=True, timeout=150)
    schema = json.loads(printed.stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def mistakes(config):
    """What is wrong with a configuration by the schema, each with its place."""
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(tomllib.loads(config))]
