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
