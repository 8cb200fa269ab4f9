"""Tells how libmodsecurity reads bodies: JSON lines of {"type", "body" (hex)} in, JSON lines of what it saw out."""

import json
import sys

import libmodsecurity

FLAGS = (
    "BOUNDARY_QUOTED BOUNDARY_WHITESPACE DATA_BEFORE DATA_AFTER HEADER_FOLDING INVALID_HEADER_FOLDING "
    "LF_LINE CRLF_LF_LINES MISSING_SEMICOLON INVALID_QUOTING INVALID_PART"
).split()
LISTS = "ARGS_NAMES ARGS FILES_NAMES FILES MULTIPART_PART_HEADERS XML:/* XML://@*".split()

RULES = """
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyJsonDepthLimit 512
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "^text/xml" "id:2,phase:1,pass,nolog,ctl:requestBodyProcessor=XML"
"""
# Every value is one more item of a list, in hexadecimal, so that a log line can hold any bytes.
for number, name in enumerate(LISTS):
    RULES += (
        f'SecRule {name} "@unconditionalMatch" "id:{100 + number},phase:2,pass,nolog,t:none,t:hexEncode,'
        f"setvar:'tx.list{number}=%{{tx.list{number}}}.%{{MATCHED_VAR}}'\"\n"
    )
lists = "|".join(f"%{{tx.list{number}}}" for number in range(len(LISTS)))
flags = "|".join(f"%{{MULTIPART_{name}}}" for name in FLAGS)
RULES += f"SecAction \"id:200,phase:2,pass,log,msg:'{lists}|%{{REQBODY_ERROR}}|%{{URLENCODED_ERROR}}|{flags}'\"\n"

engine = libmodsecurity.ModSecurity()
engine.set_log_callback(lambda line: None)
rules = libmodsecurity.RulesSet()
assert rules.load(RULES) >= 0, rules.get_parser_error()


def read(content_type, body):
    with engine.transaction(rules) as transaction:
        transaction.process_connection("127.0.0.1", 1234, "127.0.0.1", 80)
        transaction.process_uri("/", "POST", "1.1")
        transaction.add_request_header("Host", "localhost")
        transaction.add_request_header("Content-Type", content_type)
        transaction.process_request_headers()
        transaction.append_request_body(body)
        transaction.process_request_body()
        told = transaction.get_rule_messages()[0].message.split("|")
    items = [text.split(".")[1:] for text in told[: len(LISTS)]]
    error, bad_encoding, *seen = told[len(LISTS) :]
    return {
        "lists": dict(zip(LISTS, items)),
        "error": error == "1",
        "invalidEncoding": bad_encoding == "1",
        "flags": [name for name, value in zip(FLAGS, seen) if value == "1"],
    }


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(read(asked["type"], bytes.fromhex(asked["body"]))))
