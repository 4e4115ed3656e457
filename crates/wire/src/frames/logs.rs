//! Questions for parts of logs, and these parts.

use flota_model::{
    log::{LOG_MARKS_MAX, LOG_PART_MAX, LOG_TAIL_MAX, LogFrom, LogPart, LogQuestion},
    units::Timestamp,
};

use super::{
    DecodeFault, at_most,
    common::{decode_attempt, decode_stream, encode_attempt, encode_stream},
    proto::{self, log_question::From},
};

pub(super) fn encode_question(question: &LogQuestion) -> proto::LogQuestion {
    proto::LogQuestion {
        attempt: Some(encode_attempt(question.attempt)),
        run: question.run,
        stream: encode_stream(question.stream).into(),
        from: Some(match question.from {
            LogFrom::Offset(offset) => From::Offset(offset),
            LogFrom::Tail(lines) => From::Tail(lines),
            LogFrom::Since(time) => From::Since(time.0),
        }),
        until: question.until.map(|time| time.0),
        length: question.length,
        marks: question.marks,
    }
}

pub(super) fn decode_question(asked: proto::LogQuestion) -> Result<LogQuestion, DecodeFault> {
    at_most("log.length", asked.length as usize, LOG_PART_MAX as usize)?;
    Ok(LogQuestion {
        attempt: decode_attempt("log.attempt", asked.attempt)?,
        run: asked.run,
        stream: decode_stream("log.stream", asked.stream)?,
        from: match asked.from.ok_or(DecodeFault::Missing("log.from"))? {
            From::Offset(offset) => LogFrom::Offset(offset),
            From::Tail(lines) => {
                at_most("log.tail", lines as usize, LOG_TAIL_MAX as usize)?;
                LogFrom::Tail(lines)
            }
            From::Since(time) => LogFrom::Since(Timestamp(time)),
        },
        until: asked.until.map(Timestamp),
        length: asked.length,
        marks: asked.marks,
    })
}

pub(super) fn encode_part(part: &LogPart) -> proto::LogPart {
    let mark = |(offset, at): &(u64, Timestamp)| proto::LogMark {
        offset: *offset,
        at: at.0,
    };
    proto::LogPart {
        run: part.run,
        start: part.start,
        bytes: part.bytes.clone(),
        next: part.next,
        end: part.end,
        at_end: part.at_end,
        growing: part.growing,
        inside_line: part.inside_line,
        marks: part.marks.iter().map(mark).collect(),
    }
}

pub(super) fn decode_part(part: proto::LogPart) -> Result<LogPart, DecodeFault> {
    at_most("log.bytes", part.bytes.len(), LOG_PART_MAX as usize)?;
    at_most("log.marks", part.marks.len(), LOG_MARKS_MAX)?;
    let marks = part.marks.into_iter();
    Ok(LogPart {
        run: part.run,
        start: part.start,
        bytes: part.bytes,
        next: part.next,
        end: part.end,
        at_end: part.at_end,
        growing: part.growing,
        inside_line: part.inside_line,
        marks: marks
            .map(|mark| (mark.offset, Timestamp(mark.at)))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_a_part_is_refused() {
        let question = || LogQuestion {
            attempt: flota_model::ids::AttemptId::default(),
            run: None,
            stream: flota_model::outcome::StreamName::Stdout,
            from: LogFrom::Tail(LOG_TAIL_MAX),
            until: None,
            length: LOG_PART_MAX,
            marks: true,
        };
        let asked = |question| decode_question(encode_question(&question));
        assert_eq!(asked(question()), Ok(question()));
        let long = LogQuestion {
            length: LOG_PART_MAX + 1,
            ..question()
        };
        assert!(asked(long).is_err());
        let far = LogQuestion {
            from: LogFrom::Tail(LOG_TAIL_MAX + 1),
            ..question()
        };
        assert!(asked(far).is_err());
        let answered = |bytes: u32, marks: usize| {
            let part = LogPart {
                bytes: vec![0; bytes as usize],
                marks: vec![(0, Timestamp(0)); marks],
                ..LogPart::default()
            };
            decode_part(encode_part(&part)).is_ok()
        };
        assert!(answered(LOG_PART_MAX, LOG_MARKS_MAX));
        assert!(!answered(LOG_PART_MAX + 1, 0));
        assert!(!answered(0, LOG_MARKS_MAX + 1));
    }
}
