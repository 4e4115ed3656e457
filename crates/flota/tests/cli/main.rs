//! The real binary as people use it: real servers, agents, keepers and programs.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod completion;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod home;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod hpc;
#[cfg(test)]
mod inspect;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod line;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod services;
#[cfg(test)]
mod words;
