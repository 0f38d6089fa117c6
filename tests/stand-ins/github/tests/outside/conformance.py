"""Checks recorded answers and webhook payloads against GitHub's OpenAPI description.

Usage: conformance.py DESCRIPTION RECORDS. RECORDS has one JSON object a line: {"method", "path", "status", "body"}
of an answer, or {"event", "action", "payload"} of a webhook. Prints a line for each thing that is wrong.
"""

import json
import re
import sys

from jsonschema import Draft202012Validator

# Known differences between GitHub's description and GitHub's answers.
INACCURATE = [
    # The description demands a user and an enterprise at once.
    r"GET /app/installations 200: \d+/account: '(name|slug|created_at|updated_at)' is a required property",
    # A label without a description has null, as described in all other places.
    r"GET /repos/.*/pulls 200: \d+/labels/\d+/description: None is not of type 'string'",
]


def translate(node):
    """OpenAPI 3.0's dialect to JSON Schema's: `nullable` is the one word that matters here."""
    if isinstance(node, list):
        return [translate(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: translate(value) for key, value in node.items() if key not in ("example", "examples")}
    if node.pop("nullable", False) is True:
        return {"anyOf": [{"type": "null"}, node]}
    # The alternatives may overlap: GitHub writes `oneOf` where it means `anyOf`.
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
    return node


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        description = json.load(file)
    components = translate(description["components"])
    operations = []
    for template, methods in description["paths"].items():
        for method, operation in methods.items():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            # A ref, path or branch may contain slashes.
            pattern = re.sub(r"\{(ref|path|branch|basehead)\}", "\0", template)
            pattern = re.sub(r"\{[^}]*\}", "[^/]+", re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}"))
            pattern = pattern.replace("\0", ".+").replace("\\\x00", ".+")
            operations.append((method.upper(), template, re.compile(f"^{pattern}$"), operation))
    # Literal segments take precedence over parameters.
    operations.sort(key=lambda one: (one[1].count("{"), -len(one[1])))

    def check(what, schema, value):
        validator = Draft202012Validator({**translate(schema), "components": components})
        found = 0
        for error in validator.iter_errors(value):
            for leaf in leaves(error):
                path = "/".join(str(part) for part in leaf.absolute_path)
                complaint = f"{what}: {path}: {leaf.message[:200]}"
                if any(re.match(known, complaint) for known in INACCURATE):
                    continue
                print(complaint)
                found += 1
        return found

    def leaves(error):
        if not error.context:
            yield error
            return
        # Of several alternatives report the errors of the closest one, never those of null.
        best = {}
        for one in error.context:
            best.setdefault(one.schema_path[0], []).append(one)
        shapes = [errors for errors in best.values() if not any("'null'" in e.message for e in errors)]
        for one in min(shapes or best.values(), key=len):
            yield from leaves(one)

    checked, wrong, seen = 0, 0, set()
    for line in open(sys.argv[2], encoding="utf-8"):
        record = json.loads(line)
        if "event" in record:
            name = record["event"].replace("_", "-")
            if record["action"]:
                name += "-" + record["action"].replace("_", "-")
            webhook = description["x-webhooks"].get(name)
            if webhook is None:
                print(f"webhook {name}: no such webhook")
                wrong += 1
                continue
            schema = webhook["post"]["requestBody"]["content"]["application/json"]["schema"]
            wrong += check(f"webhook {name}", schema, record["payload"])
            checked += 1
            seen.add(f"webhook {name}")
            continue
        path = record["path"].split("?")[0]
        match = [one for one in operations if one[0] == record["method"] and one[2].match(path)]
        if not match:
            print(f"{record['method']} {path}: no such operation")
            wrong += 1
            continue
        _, template, _, operation = match[0]
        what = f"{record['method']} {template} {record['status']}"
        response = operation["responses"].get(str(record["status"]))
        if response is None:
            if record["status"] < 400:
                print(f"{what}: no such status")
                wrong += 1
                continue
            # The description has errors that all endpoints share only once.
            response = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/basic-error"}}}}
        if "$ref" in response:
            response = description["components"]["responses"][response["$ref"].split("/")[-1]]
        content = response.get("content", {})
        schema = next((one["schema"] for kind, one in content.items() if "json" in kind), None)
        if schema is not None:
            wrong += check(what, schema, record["body"])
        checked += 1
        seen.add(what)
    for what in sorted(seen):
        print(f"checked {what}")
    print(f"{checked} checked, {wrong} wrong")
    sys.exit(1 if wrong or not checked else 0)


main()
