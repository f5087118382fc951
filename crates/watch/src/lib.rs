//! What normal looks like, whether this is a surge or an attack, and what sets the attack apart.
