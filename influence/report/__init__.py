"""The report page, and what each step logs. The doors to Plotly and Jinja."""
