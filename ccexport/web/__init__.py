"""Plain HTTP beside the pages, as Starlette routes: sign-in at Constant Contact, health."""
