"""6.7 Beyond the list: what today's large models have that the roadmap does not name. Each is one module."""
