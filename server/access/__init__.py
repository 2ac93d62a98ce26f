"""Who may do what: tokens with scopes, and the record of what they changed. Knows nothing of HTTP."""
