"""Text to speech: ``english`` and ``chinese`` text to phonemes, ``phonemes`` the two together in speakable pieces · ``kokoro`` the
model, in its own process · ``espeak`` the program espeak-ng, where it is installed · ``encode`` samples to a file · ``voices``
names · ``service`` OpenAI's ``/v1/audio/speech``.
"""
