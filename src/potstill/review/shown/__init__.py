"""How texts of models and users become safe HTML. Everything in them is untrusted."""
