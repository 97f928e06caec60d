"""A rating study of a set of faces: the page that people see, and what their answers say."""
