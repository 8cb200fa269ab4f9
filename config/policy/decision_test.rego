package sallyport_test

import data.sallyport
import data.sallyport_fixtures as fixtures

decision(request) := result if {
	result := sallyport.decision with input as request
		with data.issuers as fixtures.issuers
		with data.roles as fixtures.roles
		with data.windows as fixtures.windows
}

exchange(request) := result if {
	result := sallyport.exchange with input as request
		with data.issuers as fixtures.issuers
		with data.roles as fixtures.roles
		with data.windows as fixtures.windows
}

egress(request) := result if {
	result := sallyport.egress with input as request
		with data.issuers as fixtures.issuers
		with data.roles as fixtures.roles
		with data.windows as fixtures.windows
}

on_its_way_out(requires) := object.union(
	fixtures.with_subject(
		{"spiffeId": "spiffe://mesh.example/ns/shop/sa/shop", "issuer": null, "kind": "mesh", "claims": {}},
		requires,
	),
	{"direction": "egress", "egress": {"port": 443, "protocol": "https", "reason": "listed", "asks": "request", "credential": null}},
)

at_exchange(request) := object.union(request, {"direction": "exchange"})

codes(verdict) := {reason.code | some reason in verdict.reasons}

allowed(verdict) if {
	verdict.allow == true
	"requirements-met" in codes(verdict)
}

denied(verdict, expected) if {
	verdict.allow == false
	codes(verdict) == expected
}

test_what_is_met_is_allowed_and_says_why if {
	decision(fixtures.at({"roles": {"any": ["viewer"]}, "methods": ["GET"]})) == {
		"allow": true,
		"reasons": [
			{"code": "requirements-met", "class": "policy", "message": "methods, roles"},
			{"code": "role-held", "class": "role", "message": "viewer"},
		],
	}
}

test_what_is_not_met_is_denied_for_every_reason if {
	denied(
		decision(fixtures.with_claims({}, {"roles": {"any": ["viewer"]}, "scopes": ["orders"], "methods": ["PUT"]})),
		{"role-missing", "scope-missing", "method-not-admitted"},
	)
}

test_a_request_that_no_rule_speaks_of_is_denied if {
	denied(
		decision({}),
		{"version-unknown", "requirement-missing", "caller-unknown", "direction-wrong"},
	)
}

test_egress_is_decided_too if {
	allowed(decision(object.union(fixtures.at({"kinds": ["external"]}), {"direction": "egress"})))
}

test_a_workload_may_go_out_where_all_is_met if {
	allowed(egress(on_its_way_out({"kinds": ["mesh"], "protocols": ["https"], "window": "office-hours"})))
}

test_a_workload_may_not_go_out_by_a_rule_that_requires_nothing if {
	denied(egress(on_its_way_out({})), {"requirement-missing"})
}

test_a_workload_may_not_go_out_by_another_protocol if {
	denied(egress(on_its_way_out({"protocols": ["tls", "tcp"]})), {"protocol-not-admitted"})
}

test_a_workload_may_not_go_out_at_another_time if {
	denied(egress(on_its_way_out({"kinds": ["mesh"], "window": "night"})), {"outside-window"})
}

test_a_request_is_no_egress if {
	denied(egress(fixtures.at({"kinds": ["external"]})), {"direction-wrong"})
}

test_an_exchange_is_no_request if {
	denied(decision(at_exchange(fixtures.at({"kinds": ["external"]}))), {"direction-wrong"})
}

test_a_request_is_no_exchange if {
	denied(exchange(fixtures.at({"kinds": ["external"]})), {"direction-wrong"})
}

test_a_known_caller_may_exchange if {
	allowed(exchange(at_exchange(fixtures.at({"kinds": ["external"]}))))
}

test_nobody_exchanges_without_being_known_even_where_all_may if {
	denied(
		exchange(at_exchange(fixtures.with_subject(fixtures.anonymous, {"public": true}))),
		{"caller-unknown"},
	)
}

test_an_exchange_must_meet_what_is_required if {
	denied(
		exchange(at_exchange(fixtures.at({"roles": {"all": ["admin"]}}))),
		{"role-missing"},
	)
}
