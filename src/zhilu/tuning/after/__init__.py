"""After a run: the merged model, its exports, and the proof that all of them are what was trained."""
