"""What is learned of a mask: one module a method, named as the method."""
