//! A search for secrets, in whatever form one could slip out, wherever one could show.

pub(crate) mod canaries;
pub(crate) mod sampler;

pub(crate) use canaries::Canaries;
pub(crate) use sampler::Sampler;
