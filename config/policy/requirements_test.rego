package sallyport.requirements_test

import data.sallyport.requirements
import data.sallyport_fixtures as fixtures

unmet(request) := {reason.code | some reason in unmet_reasons(request)}

unmet_reasons(request) := result if {
	result := requirements.unmet with input as request
		with data.issuers as fixtures.issuers
		with data.roles as fixtures.roles
		with data.windows as fixtures.windows
}

met(request) if unmet(request) == set()

# what is not understood

test_a_version_that_is_not_known_is_not_met if {
	unmet(object.union(fixtures.at({"public": true}), {"version": 2})) == {"version-unknown"}
}

test_a_route_that_requires_nothing_is_not_met if unmet(fixtures.at({})) == {"requirement-missing"}

test_a_misspelt_requirement_is_not_met if {
	unmet(fixtures.at({"public": true, "role": {"any": ["viewer"]}})) == {"requirement-not-understood"}
}

test_a_requirement_of_the_wrong_form_is_not_met if {
	malformed := [
		{"public": "yes"},
		{"kinds": "external"},
		{"kinds": []},
		{"scopes": [1]},
		{"methods": {}},
		{"roles": ["viewer"]},
		{"roles": {}},
		{"roles": {"any": []}},
		{"roles": {"any": ["viewer"], "some": ["admin"]}},
		{"roles": {"all": "viewer"}},
		{"tenant": 1},
		{"tenant": {"segment": "1"}},
		{"tenant": {"segment": 1, "claim": "tenant"}},
		{"window": "no-such-window"},
		{"window": ["office-hours"]},
		{"public": null},
	]
	every requires in malformed {
		"requirement-not-understood" in unmet(fixtures.at(requires))
	}
}

test_a_request_that_lacks_what_is_asked_for_meets_nothing if {
	bare := {"version": 1, "route": {"requires": {
		"kinds": ["external"],
		"roles": {"any": ["viewer"], "all": ["viewer"]},
		"scopes": ["orders"],
		"tenant": {"segment": 1},
		"methods": ["GET"],
		"window": "office-hours",
	}}}
	unmet(bare) == {
		"caller-unknown",
		"kind-not-admitted",
		"role-missing",
		"scope-missing",
		"tenant-unknown",
		"method-not-admitted",
		"outside-window",
	}
}

# public

test_a_public_route_is_open_to_nobody_in_particular if {
	met(fixtures.with_subject(fixtures.anonymous, {"public": true}))
}

test_any_other_route_is_not if {
	unmet(fixtures.with_subject(fixtures.anonymous, {"public": false})) == {"caller-unknown"}
	unmet(fixtures.with_subject(fixtures.anonymous, {"methods": ["GET"]})) == {"caller-unknown"}
}

test_a_caller_without_a_spiffe_id_is_nobody if {
	subject := object.union(fixtures.request.subject, {"spiffeId": null})
	unmet(fixtures.with_subject(subject, {"methods": ["GET"]})) == {"caller-unknown"}
}

test_a_public_route_still_requires_what_it_says if {
	unmet(fixtures.with_subject(fixtures.anonymous, {"public": true, "methods": ["PUT"]})) == {"method-not-admitted"}
}

# kinds

test_a_kind_that_is_named_is_admitted if met(fixtures.at({"kinds": ["mesh", "external"]}))

test_another_kind_is_not if unmet(fixtures.at({"kinds": ["mesh"]})) == {"kind-not-admitted"}

# roles

test_one_of_several_roles_is_enough if met(fixtures.at({"roles": {"any": ["admin", "editor"]}}))

test_a_role_that_a_role_includes_counts if met(fixtures.at({"roles": {"any": ["viewer"]}}))

test_none_of_several_roles_is_not_enough if {
	unmet(fixtures.at({"roles": {"any": ["admin", "deployer"]}})) == {"role-missing"}
}

test_all_roles_must_be_there if {
	met(fixtures.at({"roles": {"all": ["editor", "viewer"]}}))
	unmet(fixtures.at({"roles": {"all": ["editor", "admin"]}})) == {"role-missing"}
}

test_any_and_all_hold_together if {
	unmet(fixtures.at({"roles": {"any": ["viewer"], "all": ["admin"]}})) == {"role-missing"}
	unmet(fixtures.at({"roles": {"any": ["admin"], "all": ["viewer"]}})) == {"role-missing"}
}

test_which_roles_were_held_is_said if {
	held := {reason.message |
		some reason in requirements.met with input as fixtures.at({"roles": {"any": ["viewer", "admin"], "all": ["editor"]}})
			with data.issuers as fixtures.issuers
			with data.roles as fixtures.roles
		reason.code == "role-held"
	}
	held == {"viewer", "editor"}
}

# scopes

test_all_scopes_must_be_there if {
	met(fixtures.at({"scopes": ["orders", "openid"]}))
	unmet_reasons(fixtures.at({"scopes": ["orders", "refunds"]})) == {{
		"code": "scope-missing",
		"class": "scope",
		"message": "refunds",
	}}
}

# tenant

test_the_callers_own_tenant_is_met if met(fixtures.at({"tenant": {"segment": 1}}))

test_another_tenant_is_not if unmet(fixtures.at({"tenant": {"segment": 0}})) == {"tenant-mismatch"}

test_a_segment_that_is_not_there_is_not if {
	every segment in [3, -1, 1.5] {
		unmet(fixtures.at({"tenant": {"segment": segment}})) == {"tenant-mismatch"}
	}
}

test_a_caller_without_tenant_is_not if {
	every claims in [{}, {"tenant": ""}, {"tenant": ["acme"]}, {"tenant": null}] {
		unmet(fixtures.with_claims(claims, {"tenant": {"segment": 1}})) == {"tenant-unknown"}
	}
}

# methods

test_a_method_that_is_named_is_admitted if met(fixtures.at({"methods": ["GET", "HEAD"]}))

test_another_method_is_not if unmet(fixtures.at({"methods": ["PUT"]})) == {"method-not-admitted"}

# window

test_inside_a_window_is_met if met(fixtures.at({"window": "office-hours"}))

test_outside_a_window_is_not if unmet(fixtures.at({"window": "night"})) == {"outside-window"}
