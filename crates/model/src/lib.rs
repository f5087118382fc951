//! The words of the glossary as types, and configuration.
