"""How what comes from outside is read: numbers and texts, within bounds, before anything is made.

Nothing else in the package turns text into numbers: every number of a command line, a file or a
request goes through `numbers`, every text file and its syntax through `texts`, tables
through `tables`.
"""
