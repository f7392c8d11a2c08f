"""What tests share: helpers that hold no test of their own."""
