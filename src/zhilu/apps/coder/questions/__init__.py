"""Questions about a repository: ``choose`` the code that is shown · ``prompts`` what the model is told · ``check`` its answer
against the code · ``ask`` all of it."""
