//! Generates the messages of `proto/agent.proto`. No `protoc` is needed: protox compiles the file.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/agent.proto");
    let descriptors = protox::compile(["agent.proto"], ["proto"])?;
    prost_build::Config::new()
        .btree_map(["."])
        // Ten times as long as the other answers.
        .boxed(".flota.agent.v1.Answer.answer.inspected")
        .compile_fds(descriptors)?;
    Ok(())
}
