"""How fast a model of one's own trains and answers on the machine at hand."""
