"""One address in front of all engines: find the engine by the model's name, pass the request on, record the outcome."""
