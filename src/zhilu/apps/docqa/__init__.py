"""Document question answering: a document or a folder of them, asked in plain words, with the place of every answer.

File map: ``tables/`` the tables of a text, and questions to them · ``ask`` one question, to the tables or to the words · ``summary``
a summary with places · ``acceptance`` 24 cases over the documents of ``samples/`` · ``template/`` what one takes home.
"""
