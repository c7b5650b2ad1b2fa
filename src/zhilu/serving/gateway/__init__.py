"""One address in front of all engines: find the engine by the model's name, pass the request on, count what became of it."""
