"""The experiments of the paper's section 4, and those beyond it; one module for each.

Every module has `run(context)`, which measures, writes figures and returns a JSON-ready record;
`claims(records)`, the paper's statements with verdicts computed from the records; and
`section(records)`, its part of the page. `registry` lists them, `page` puts them together.
"""
