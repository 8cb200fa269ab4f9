"""Asks libmodsecurity (PyPI package of that name) about requests: one JSON line in, one out. Argument: a rule file."""
import base64
import json
import resource
import sys
import time

from libmodsecurity import ModSecurity, RulesSet

modsecurity = ModSecurity()
modsecurity.set_log_callback(lambda message: None)
rules = RulesSet()
started = time.process_time()
if rules.load_from_uri(sys.argv[1]) < 0:
    sys.exit(rules.get_parser_error())
load_ms = (time.process_time() - started) * 1000
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"loadMs": load_ms, "rssBytes": memory}), flush=True)


def run(request, body):
    with modsecurity.transaction(rules) as transaction:
        transaction.process_connection("192.0.2.1", 40000, "192.0.2.2", 80)
        transaction.process_uri(request["target"], request["method"], "1.1")
        headers = request["headers"]
        for i in range(0, len(headers), 2):
            transaction.add_request_header(headers[i], headers[i + 1])
        transaction.process_request_headers()
        if body:
            transaction.append_request_body(body)
        transaction.process_request_body()
        transaction.add_response_header("Content-Type", "text/html")
        transaction.process_response_headers(200, "HTTP/1.1")
        transaction.process_response_body()
        transaction.process_logging()
        intervention = transaction.intervention()
        ids = sorted({message.rule_id for message in transaction.get_rule_messages()})
        return ids, bool(intervention and intervention.status >= 400)


for line in sys.stdin:
    question = json.loads(line)
    times = question.get("times", 1)
    requests = [(r, base64.b64decode(r.get("body", ""))) for r in question["requests"]]
    answers = []
    started = time.process_time()
    for _ in range(times):
        answers = [run(request, body) for request, body in requests]
    spent = (time.process_time() - started) * 1e6 / (times * len(requests))
    print(json.dumps({"answers": [{"ids": i, "refused": r} for i, r in answers], "cpuUs": spent}), flush=True)
