"""The models an agent holds: uploads, descriptions, and their trial in a throw-away child."""
