# What the gateway and the exchange ask: may this go on, and why.
#
# Denied unless the route says what it requires and all of it is met. A route is free to require little
# (`public: true`), but it has to say so. What it requires stands at the route, as `policy.requires`; what the words
# mean stands in requirements.rego; who has which role stands in data.json.
#
# The shape of input and decision: docs/reference/policy-input.schema.json, policy-decision.schema.json.
package sallyport

import data.sallyport.requirements

# Requests, on their way in or out.
#
# METADATA
# entrypoint: true
decision := verdict(requirements.unmet | not_a_request, requirements.met)

# Workloads on their way out, after the rules of egress have allowed them: may they still.
#
# METADATA
# entrypoint: true
egress := verdict(requirements.unmet | not_an_egress, requirements.met)

# Minting: may this caller have a mesh identity. Nobody gets one without being known, whatever the route says.
#
# METADATA
# entrypoint: true
exchange := verdict(requirements.unmet | not_an_exchange, requirements.met)

verdict(unmet, met) := {"allow": true, "reasons": sort([reason | some reason in met])} if count(unmet) == 0

verdict(unmet, _) := {"allow": false, "reasons": sort([reason | some reason in unmet])} if count(unmet) > 0

not_a_request contains requirements.reason("direction-wrong", "policy", "this decision is about requests") if {
	not is_request
}

not_an_egress contains requirements.reason("direction-wrong", "policy", "this decision is about the way out") if {
	not is_egress
}

not_an_exchange contains requirements.reason("direction-wrong", "policy", "this decision is about the exchange") if {
	not is_exchange
}

not_an_exchange contains requirements.reason("caller-unknown", "identity", "nobody gets an identity unknown") if {
	not requirements.caller_known
}

is_request if input.direction in {"ingress", "egress"}

is_egress if {
	input.direction == "egress"
	is_string(input.egress.protocol)
}

is_exchange if input.direction == "exchange"
