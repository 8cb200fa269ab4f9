package sallyport.subject_test

import data.sallyport.subject
import data.sallyport_fixtures as fixtures

roles(issuer, claims) := result if {
	result := subject.roles with input.subject as {"issuer": issuer, "claims": claims}
		with data.issuers as fixtures.issuers
		with data.roles as fixtures.roles
}

scopes(issuer, claims) := result if {
	result := subject.scopes with input.subject as {"issuer": issuer, "claims": claims}
		with data.issuers as fixtures.issuers
}

test_roles_are_read_where_the_issuer_puts_them if {
	roles("staff", {"realm_access": {"roles": ["shop-editor"]}}) == {"editor", "viewer"}
	roles("staff", {"roles": ["shop-editor"]}) == set()
	roles("pipelines", {"repository": "example/shop"}) == {"deployer"}
}

test_an_issuer_gives_no_role_that_is_not_meant_for_it if {
	roles("pipelines", {"repository": "shop-admin"}) == set()
	roles("staff", {"realm_access": {"roles": ["admin", "example/shop"]}}) == set()
}

test_an_issuer_that_is_not_named_gives_nothing if {
	roles("stranger", {"realm_access": {"roles": ["shop-admin"]}}) == set()
	roles(null, {"realm_access": {"roles": ["shop-admin"]}}) == set()
	scopes("stranger", {"scope": "orders"}) == set()
}

test_roles_include_others_however_deep if {
	roles("staff", {"realm_access": {"roles": ["shop-admin"]}}) == {"admin", "editor", "viewer", "deployer"}
}

test_a_role_that_is_not_described_is_none if {
	roles("staff", {"realm_access": {"roles": ["shop-ghost"]}}) == set()
}

test_claims_of_another_form_give_no_role if {
	every claim in [null, 1, true, {}, {"roles": null}, {"roles": [["shop-admin"], {"x": "shop-admin"}, 7]}] {
		roles("staff", {"realm_access": claim}) == set()
	}
}

test_scopes_are_a_list_or_words if {
	scopes("staff", {"scope": "a b"}) == {"a", "b"}
	scopes("staff", {"scope": ["a", "b"]}) == {"a", "b"}
	scopes("staff", {}) == set()
	scopes("pipelines", {"scope": "a"}) == set()
}
