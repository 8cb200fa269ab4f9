# What a route may require, and whether this request meets it. A new requirement is a rule for when it is not met, a
# line in `well_formed`, and tests.
#
# Trap: `not f(input.x)` and `not input.x in s` fail where `input.x` is not there, and so the rule would not say that the
# requirement is not met. Put what must hold in a rule of its own and negate that, as below.
#
#   public: true                  callers without an identity are let in, too
#   kinds: [external, mesh]       kinds of callers
#   roles: {any: [a], all: [b]}   one of these roles, and all of those
#   scopes: [read]                all of these scopes
#   tenant: {segment: 1}          the caller's tenant stands in this segment of the path, counted from 0
#   methods: [GET]                methods
#   window: office-hours          a window of time in data.json
#   protocols: [https, tls]       of the way out: how it goes on
package sallyport.requirements

import data.sallyport.clock
import data.sallyport.subject

requires := input.route.requires

reason(code, class, message) := {"code": code, "class": class, "message": message}

caller_known if {
	input.subject.kind != "anonymous"
	is_string(input.subject.spiffeId)
}

# What is not understood is not met: a misspelt requirement must not open a route.

unmet contains reason("version-unknown", "policy", "this policy does not know the version of its input") if {
	not input.version == 1
}

unmet contains reason("requirement-missing", "policy", "the route does not say what it requires") if {
	not has_requirements
}

unmet contains reason("requirement-not-understood", "policy", name) if {
	some name, value in requires
	not well_formed(name, value)
}

has_requirements if count(requires) > 0

well_formed("public", value) if is_boolean(value)

well_formed("kinds", value) if is_words(value)

well_formed("scopes", value) if is_words(value)

well_formed("methods", value) if is_words(value)

well_formed("protocols", value) if is_words(value)

well_formed("roles", value) if {
	object.keys(value) - {"any", "all"} == set()
	count(value) > 0
	every words in value {
		is_words(words)
	}
}

well_formed("tenant", value) if {
	object.keys(value) == {"segment"}
	is_number(value.segment)
}

well_formed("window", value) if is_object(data.windows[value])

is_words(value) if {
	is_array(value)
	count(value) > 0
	every word in value {
		is_string(word)
	}
}

# Why a request is allowed.

met contains reason("requirements-met", "policy", list(sort(object.keys(requires)))) if count(unmet) == 0

met contains reason("role-held", "role", role) if {
	some names in requires.roles
	some role in names
	role in subject.roles
}

# public

unmet contains reason("caller-unknown", "identity", "the caller has no identity here") if {
	not caller_known
	not requires.public == true
}

# kinds

unmet contains reason("kind-not-admitted", "identity", "callers of this kind are not admitted") if {
	requires.kinds
	not kind_admitted
}

kind_admitted if input.subject.kind in requires.kinds

# roles

unmet contains reason("role-missing", "role", concat(" ", ["one of these is needed:", list(requires.roles.any)])) if {
	requires.roles.any
	not has_any_role
}

unmet contains reason("role-missing", "role", concat(" ", ["all of these are needed:", list(requires.roles.all)])) if {
	requires.roles.all
	not has_all_roles
}

has_any_role if {
	some role in requires.roles.any
	role in subject.roles
}

has_all_roles if {
	every role in requires.roles.all {
		role in subject.roles
	}
}

# scopes

unmet contains reason("scope-missing", "scope", scope) if {
	some scope in requires.scopes
	not scope in subject.scopes
}

# tenant

unmet contains reason("tenant-unknown", "tenant", "the caller belongs to no tenant") if {
	requires.tenant
	not subject.tenant
}

unmet contains reason("tenant-mismatch", "tenant", "the path belongs to another tenant") if {
	requires.tenant
	subject.tenant
	not own_tenant
}

own_tenant if subject.tenant == input.request.segments[requires.tenant.segment]

# methods

unmet contains reason("method-not-admitted", "policy", "this method is not admitted") if {
	requires.methods
	not method_admitted
}

method_admitted if input.request.method in requires.methods

# protocols

unmet contains reason("protocol-not-admitted", "egress", "this protocol is not admitted") if {
	requires.protocols
	not protocol_admitted
}

protocol_admitted if input.egress.protocol in requires.protocols

# window

unmet contains reason("outside-window", "time", requires.window) if {
	requires.window
	not inside_window
}

inside_window if clock.inside(data.windows[requires.window], input.nowMs)

list(words) := concat(", ", words)
