"""Speech to text: ``decode`` any audio to samples · ``whisper`` the model, in its own process · ``transcript`` what was said,
with times, and how it is written (SRT, WebVTT) · ``service`` OpenAI's ``/v1/audio/transcriptions`` · ``job`` long recordings.
"""
