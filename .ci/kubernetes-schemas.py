"""Makes one strict JSON Schema a kind from the OpenAPI file of Kubernetes, in the naming that kubeconform looks for.

Usage: kubernetes-schemas.py SWAGGER_JSON OUTPUT_FOLDER
"""

import json
import os
import sys

PREFIX = "#/definitions/"


def tighten(name, node):
    """Unknown fields become errors; what may be a number or a string says so."""
    if isinstance(node, list):
        for item in node:
            tighten(name, item)
    if not isinstance(node, dict):
        return
    is_schema_of_schemas = name.endswith(".JSONSchemaProps")
    if "properties" in node and "additionalProperties" not in node and not is_schema_of_schemas:
        node["additionalProperties"] = False
    for value in list(node.values()):
        tighten(name, value)
    if node.get("format") == "int-or-string":
        node.pop("type", None)
        node["oneOf"] = [{"type": "string"}, {"type": "integer"}]


def needed_by(definitions, name):
    """All definitions that this one refers to, itself included."""
    found, todo = set(), [name]
    while todo:
        current = todo.pop()
        if current in found:
            continue
        found.add(current)
        parts = [definitions[current]]
        while parts:
            part = parts.pop()
            if isinstance(part, dict):
                reference = part.get("$ref")
                if isinstance(reference, str) and reference.startswith(PREFIX):
                    todo.append(reference[len(PREFIX):])
                parts.extend(part.values())
            elif isinstance(part, list):
                parts.extend(part)
    return found


def main(source, target):
    with open(source, encoding="utf8") as file:
        definitions = json.load(file)["definitions"]
    os.makedirs(target)
    for name, definition in definitions.items():
        tighten(name, definition)
    quantity = definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    quantity.pop("type", None)
    quantity["oneOf"] = [{"type": "string"}, {"type": "number"}]
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            suffix = f"{group}-{kind['version']}" if group else kind["version"]
            used = {part: definitions[part] for part in sorted(needed_by(definitions, name))}
            path = os.path.join(target, f"{kind['kind'].lower()}-{suffix.lower()}.json")
            with open(path, "w", encoding="utf8") as file:
                json.dump({"$ref": PREFIX + name, "definitions": used}, file)


main(*sys.argv[1:3])
