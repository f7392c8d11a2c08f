"""The stand-in's HTTP: routes of the V3 API, what every request passes first, how bodies are read and answers made."""
