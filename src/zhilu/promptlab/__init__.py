"""Prompts as what they are: parts of a program, with versions, tests and figures. Roadmap 5.1.

File map: ``template`` a version and how it is filled · ``library`` the versions there are (files) · ``sets`` questions with known
answers · ``graders`` is an answer right · ``judging`` a model as grader, and how far people agree with it · ``runs`` what each
version answered · ``job`` asks · ``compare`` two runs, with their significance · ``export`` a version as code · ``starters/``
two small tasks in both languages.
"""
