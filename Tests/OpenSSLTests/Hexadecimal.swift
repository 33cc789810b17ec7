// Published vectors are hexadecimal; spaces are for the reader.

import Base

func hex(_ text: String) -> [UInt8] { [UInt8](hex: text.filter { $0 != " " && $0 != "\n" })! }
