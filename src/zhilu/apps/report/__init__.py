"""Reports: a question about tables becomes checked SQL, a table, a chart, and sentences whose every number stands in the result."""
