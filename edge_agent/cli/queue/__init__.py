"""``queue …``: a file for each thing that a person does to the queue by hand."""
