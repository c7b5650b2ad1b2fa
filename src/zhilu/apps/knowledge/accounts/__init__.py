"""Who may come in, and what they may read: people, groups, passwords, sessions, an OpenID provider."""
