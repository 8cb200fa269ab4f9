# A request that the tests start from, and how they change it.
package sallyport_fixtures

tuesday_noon_ms := 1764072000000 # 25 November 2025, 12:00 UTC

request := {
	"version": 1,
	"nowMs": tuesday_noon_ms,
	"direction": "ingress",
	"trustDomain": "mesh.example",
	"request": {
		"method": "GET",
		"host": "api.example.com",
		"path": "/tenants/acme/orders",
		"segments": ["tenants", "acme", "orders"],
		"query": "",
		"headers": {},
	},
	"route": {"id": "orders", "team": "shop", "requires": {}},
	"subject": {
		"spiffeId": "spiffe://mesh.example/users/ann",
		"issuer": "staff",
		"kind": "external",
		"claims": {
			"realm_access": {"roles": ["shop-editor"]},
			"scope": "openid orders",
			"tenant": "acme",
		},
	},
	"tls": {"version": "TLSv1.3", "clientSpiffeId": null},
	"net": {"address": "192.0.2.7"},
}

anonymous := {"spiffeId": null, "issuer": null, "kind": "anonymous", "claims": {}}

# The request at a route that requires this.
at(requires) := with_subject(request.subject, requires)

with_subject(subject, requires) := object.union(
	object.remove(request, ["subject", "route"]),
	{"subject": subject, "route": {"id": "orders", "team": "shop", "requires": requires}},
)

with_claims(claims, requires) := with_subject(
	object.union(object.remove(request.subject, ["claims"]), {"claims": claims}),
	requires,
)

# The world that the tests live in, whatever an operator makes of data.json.
issuers := {
	"staff": {
		"roles": {
			"claim": ["realm_access", "roles"],
			"names": {"shop-admin": "admin", "shop-editor": "editor", "shop-ghost": "ghost"},
		},
		"scopes": {"claim": ["scope"]},
		"tenant": {"claim": ["tenant"]},
	},
	"pipelines": {"roles": {"claim": ["repository"], "names": {"example/shop": "deployer"}}},
}

roles := {"admin": ["editor", "deployer"], "editor": ["viewer"], "viewer": [], "deployer": []}

windows := {
	"office-hours": {"days": ["tuesday"], "fromHour": 8, "toHour": 18.5, "utcOffsetMinutes": 60},
	"night": {"days": ["tuesday"], "fromHour": 22, "toHour": 5.5, "utcOffsetMinutes": 0},
}
