# Who the caller is to the policy: roles, scopes and tenant, read from the claims as data.json says for each issuer. An
# issuer that is not named there gives none of them.
package sallyport.subject

issuer := data.issuers[input.subject.issuer]

# The words that an issuer uses are not ours: `names` says which of them stand for which of our roles. So an issuer
# can give no role that is not meant for it.
granted contains role if {
	some name in words(claim(issuer.roles.claim))
	role := issuer.roles.names[name]
}

# With all that a role includes. What is not in `data.roles` is no role.
roles := graph.reachable(data.roles, granted)

scopes := {scope | some scope in words(claim(issuer.scopes.claim))}

tenant := value if {
	value := claim(issuer.tenant.claim)
	is_string(value)
	value != ""
}

# A path of keys, for claims lie in one another and their names have dots and slashes.
claim(path) := object.get(input.subject.claims, path, null)

# A list, or words in one string as RFC 8693 §4.2 has it for `scope`.
words(value) := value if is_array(value)

words(value) := split(value, " ") if is_string(value)
