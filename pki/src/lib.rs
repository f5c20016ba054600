//! Certificate authority, leaf certificates, and PEM, PKCS12 and JKS stores written and read without Java.
