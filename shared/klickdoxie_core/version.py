"""The version of this SDK. Here as text, since asking the installed package would be a sixth of the whole import."""

VERSION = "0.1.0"
