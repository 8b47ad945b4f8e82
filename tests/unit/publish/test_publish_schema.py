"""The schemas that users build against."""

import json

from jsonschema import Draft202012Validator

from sidecar.domain import ActionKind, SourceKind
from sidecar.publish.schema import CHANNELS, asyncapi, json_schemas


def test_every_schema_is_valid_and_closed_only_where_it_must_be() -> None:
    """Inbound refuses unknown keys; outbound leaves room for added fields."""
    schemas = json_schemas()
    assert set(schemas) == {c.name for c in CHANNELS}
    for channel in CHANNELS:
        schema = schemas[channel.name]
        Draft202012Validator.check_schema(schema)
        assert (schema.get("additionalProperties") is False) is not channel.sends
        assert "schema" in schema["required"] or channel.sends


def test_schemas_stand_alone() -> None:
    """Every reference is inside its own document."""
    for schema in json_schemas().values():
        text = json.dumps(schema)
        assert text.count('"$ref"') == text.count('"$ref": "#/$defs/')


def test_enumerations_are_the_houses() -> None:
    """Actions and sources in the schema are those of the domain."""
    schema = json_schemas()["action"]
    assert set(schema["properties"]["action"]["enum"]) == set(ActionKind)
    source = schema["$defs"]["SubjectPart"]["properties"]["source"]
    assert set(source["enum"]) == set(SourceKind)


def test_asyncapi_references_resolve() -> None:
    """Each `$ref` of the AsyncAPI document leads somewhere inside it."""
    document = asyncapi("0.1.0")
    assert document["asyncapi"] == "3.0.0"
    for ref in _refs(document):
        node = document
        for key in ref.removeprefix("#/").split("/"):
            node = node[key]


def test_asyncapi_tells_direction_and_topic() -> None:
    """The sidecar sends actions and receives acks; parameters are all explained."""
    document = asyncapi()
    assert document["operations"]["action"]["action"] == "send"
    assert document["operations"]["ack"]["action"] == "receive"
    for channel in document["channels"].values():
        for name in channel["parameters"]:
            assert f"{{{name}}}" in channel["address"]


def _refs(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _refs(value)]
    if isinstance(node, list):
        return [ref for value in node for ref in _refs(value)]
    return []
